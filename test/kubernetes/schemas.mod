// Pins the module that carries Kubernetes' schemas. Nothing of it is compiled: the test reads its files.
module pagegate

go 1.26.0

require sigs.k8s.io/kubectl-validate v0.0.4
