"""Face detection, landmarks and person segmentation in pictures and videos."""
