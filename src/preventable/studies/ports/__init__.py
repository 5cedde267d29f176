"""What breaks on which architecture when a package starts to need a toolchain."""
