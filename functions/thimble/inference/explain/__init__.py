"""Why a row got its answer, in the features that people send. Imported only where it is asked for."""
