"""The embedded case: facts about Linux, computed by the project's own command."""
