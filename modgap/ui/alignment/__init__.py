"""The alignment component: every speech against every text position, with sound."""
