"""Sound in: any file to a mono wave, mel features, frame windows."""
