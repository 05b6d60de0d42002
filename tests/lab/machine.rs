//! Machines described: an IOMMU, and devices with fixed addresses.

/// The unit that keeps devices apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Iommu {
    /// Intel's, switched on.
    Intel,
    /// Intel's, switched off on the kernel command line.
    IntelOff,
    /// AMD's, which needs no parameter.
    Amd,
    /// None in the machine.
    Absent,
}

/// What a device is. The ids, classes and drivers are those of QEMU's devices and Linux's drivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    /// A GPU that no firmware shows a picture on.
    Bochs,
    /// The same ids, but the boot VGA.
    Vga,
    /// A GPU with other ids.
    Virtio,
    /// The audio function of a GPU.
    Audio,
    /// A serial port: Debian's kernels have its driver built in.
    Serial,
}

impl Model {
    /// QEMU's name of the device.
    fn device(self) -> &'static str {
        match self {
            Self::Bochs => "bochs-display",
            Self::Vga => "VGA",
            Self::Virtio => "virtio-gpu-pci",
            Self::Audio => "ich9-intel-hda",
            Self::Serial => "pci-serial",
        }
    }

    /// vendor:device.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Bochs | Self::Vga => "1234:1111",
            Self::Virtio => "1af4:1050",
            Self::Audio => "8086:293e",
            Self::Serial => "1b36:0002",
        }
    }

    /// The class, with its programming interface.
    fn class(self) -> &'static str {
        match self {
            Self::Bochs | Self::Virtio => "038000",
            Self::Vga => "030000",
            Self::Audio => "040300",
            Self::Serial => "070002",
        }
    }

    /// The driver of the host.
    pub(crate) fn driver(self) -> &'static str {
        match self {
            Self::Bochs | Self::Vga => "bochs-drm",
            Self::Virtio => "virtio-pci",
            Self::Audio => "snd_hda_intel",
            Self::Serial => "serial",
        }
    }
}

/// A function of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its address, `0000:01:00.0`.
    pub(crate) address: &'static str,
    /// What it is.
    pub(crate) model: Model,
}

/// A function at an address. Bus 0 is the chipset's; each other bus has a root port of its own.
pub(crate) const fn function(address: &'static str, model: Model) -> Function {
    Function { address, model }
}

impl Function {
    /// The line of `/etc/neuron/vfio-devices` that records it.
    pub(crate) fn line(self, role: &str) -> String {
        let Self { address, model } = self;
        format!("{role} {address} {} 1af4:1100 {}\n", model.id(), model.class())
    }
}

/// A machine to boot.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// Its IOMMU.
    pub(crate) iommu: Iommu,
    /// Its GPUs and their companions.
    pub(crate) functions: Vec<Function>,
}

impl Machine {
    /// QEMU's arguments for the machine itself.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut add = |flag: &str, value: String| arguments.extend([flag.to_owned(), value]);
        let cpu = if self.iommu == Iommu::Amd { "EPYC" } else { "max" };
        add("-M", "q35".to_owned());
        add("-cpu", cpu.to_owned());
        match self.iommu {
            Iommu::Intel | Iommu::IntelOff => {
                add("-device", "intel-iommu,intremap=on,caching-mode=on".to_owned());
            }
            Iommu::Amd => add("-device", "amd-iommu".to_owned()),
            Iommu::Absent => {}
        }
        let mut buses = Vec::new();
        for Function { address, model } in &self.functions {
            let (bus, slot, index) = (&address[5..7], &address[8..10], &address[11..]);
            let place = if bus == "00" {
                format!("bus=pcie.0,addr=0x{slot}.{index}")
            } else {
                if !buses.contains(&bus) {
                    buses.push(bus);
                    // The firmware counts buses in the order of the ports; AMD's IOMMU takes the first free slot.
                    add(
                        "-device",
                        format!("pcie-root-port,id=port{bus},slot={bus},chassis={bus},addr=0x1{}", &bus[1..]),
                    );
                }
                format!("bus=port{bus},addr=0x{slot}.{index},multifunction=on")
            };
            add("-device", format!("{},{place}", model.device()));
        }
        arguments
    }

    /// What the kernel has to be told about the IOMMU.
    pub(crate) fn parameters(&self) -> &'static str {
        match self.iommu {
            Iommu::Intel => "intel_iommu=on iommu=pt",
            Iommu::IntelOff => "intel_iommu=off",
            Iommu::Amd | Iommu::Absent => "iommu=pt",
        }
    }
}
