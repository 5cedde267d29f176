"""What code there is, how old it is, and which commit brought a fault."""
