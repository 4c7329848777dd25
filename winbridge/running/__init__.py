"""Running a Windows program unchanged: its modules get the drop-in and see Windows, all others see Linux.

``program`` runs the main module, ``imports`` answers import statements, ``scope`` says whose, ``windows`` and
``view`` make what is answered, ``children`` carries all that into processes that multiprocessing starts.
"""
