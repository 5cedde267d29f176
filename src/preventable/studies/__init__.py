"""One file per question; each asks the evidence and answers with a result object."""
