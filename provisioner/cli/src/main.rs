//! The program `neuron-provisioner`.
fn main() {}
