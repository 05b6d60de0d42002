#!/bin/bash
# Stands for the module of neuron-initcpio-hooks.
