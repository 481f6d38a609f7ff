"""60 claims on the real components, and what `stellwerk check -f FILE --kubeconfig` says of them before."""
