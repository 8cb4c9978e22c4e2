"""The remote tier: a store that many machines share, behind the directories of each."""
