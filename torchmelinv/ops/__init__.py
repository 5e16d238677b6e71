"""Machine room: tensor operations that know nothing of mels, each with the gradient that is written out where it is shorter."""
