"""Speech corpora with phone times: synthesisers, recordings, articulation targets, augmentation."""
