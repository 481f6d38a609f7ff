"""How each GPU is cut or shared: what a job needs under a policy, and where a MIG instance goes."""
