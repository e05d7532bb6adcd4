"""ThirdSentry: continuous compliance evidence from AWS, per organization and day."""
