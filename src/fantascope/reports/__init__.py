"""What a surface tells of pictures, prompts and quotes without making anything; each as plain data."""
