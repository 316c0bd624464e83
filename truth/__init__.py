"""The truth report: what the twin does, held against closed forms and independent tools (`make truth`)."""
