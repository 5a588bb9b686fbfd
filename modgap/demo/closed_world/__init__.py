"""How the embedded family is made and measured; only the command line comes here."""
