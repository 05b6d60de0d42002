//! Unified kernel images of the real dracut: the command line in them, told by objcopy.

use neuron_tests::readers::section;

use crate::{Applied, kernel};

#[test]
fn the_parameters_are_in_the_image_and_not_in_the_hosts() {
    let applied = Applied::new("dracut-uki");
    let vmlinuz = kernel().image.canonicalize().unwrap();
    let built = |is_applied: bool, name: &str, more: &[&str]| {
        let image = applied.images.path().join(name);
        let common = ["--no-hostonly", "--modules", "base", "--kernel-image", vmlinuz.to_str().unwrap()];
        applied.build(is_applied, &image, &[&common, more].concat());
        section(&image, ".cmdline").unwrap()
    };
    let before = built(false, "before.efi", &[]);
    assert!(before.iter().any(|word| word.starts_with("root=")), "{before:?}");
    let wanted = |more: &[String]| [before.as_slice(), more].concat();
    assert_eq!(built(true, "after.efi", &[]), wanted(&applied.scenario.parameters));

    // As the plan has it built.
    let commands = applied.commands();
    let host = commands.iter().find(|argv| argv.iter().any(|word| word.contains("neuron-host"))).unwrap();
    let at = host.iter().position(|word| word == "--kernel-cmdline").unwrap();
    let switches: Vec<String> = host[at + 1].split(' ').map(str::to_owned).collect();
    assert_eq!(switches, ["neuron.passthrough=off", "vfio-pci.ids="]);
    assert_eq!(built(true, "host.efi", &["--kernel-cmdline", &host[at + 1]]), wanted(&switches));
}
