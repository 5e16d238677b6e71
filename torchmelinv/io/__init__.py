"""Reading and writing of audio and mel files, and resampling."""
