"""Teaching a checkpoint a subject: photos checked and captioned, class pictures made, training run, the result kept."""
