"""The data set ``demo``: what is asked, how it was chosen, who says it."""
