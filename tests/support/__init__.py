"""What several tests share: the fixture feeds and how to pack, damage and read them."""
