"""Teaching a subject: the base opened, what is trained, the loss, the sheets on the way, and what a lesson leaves."""
