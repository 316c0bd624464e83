"""The Connectivity Stratum: fibres and classical channels granted as bearers."""
