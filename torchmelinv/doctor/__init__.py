"""What works on this machine: the environment, a self-check, and the CUDA kernels one by one."""
