"""The starter engine: motion networks and a geometric renderer that ship with the package."""
