"""Side wing: two signals or spectra in, numbers for each item out."""
