"""Key protocols of links: each a value of `model.LinkProtocol`, made of its closed forms."""
