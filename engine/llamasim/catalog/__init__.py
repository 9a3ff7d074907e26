"""What is known about devices, fabrics, hosts, instances, models and runtimes."""
