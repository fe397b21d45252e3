"""Reading edit instructions: what is to change in a picture whose prompt is known."""
