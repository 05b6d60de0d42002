//! What depmod and the kernel's build leave in `/usr/lib/modules/VERSION`: which modules there
//! are, which are built in, and which one a device asks for.

use super::modprobe_conf::normal;

/// What a kernel has of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence<'a> {
    /// A file to load, relative to the kernel's folder.
    Loadable(&'a str),
    /// Part of the kernel itself: always there, never loaded, its options go on the command line.
    BuiltIn,
    /// Neither.
    Missing,
}

/// How a kernel has a module, `-` and `_` being one; `dep` is its `modules.dep`, `builtin` its
/// `modules.builtin`.
pub fn presence<'a>(dep: &'a str, builtin: &str, module: &str) -> Presence<'a> {
    let files = dep.lines().filter_map(|line| line.split_once(':').map(|(path, _)| path));
    if let Some(path) = files.into_iter().find(|path| is_module(path, module)) {
        return Presence::Loadable(path);
    }
    if builtin.lines().any(|path| is_module(path, module)) { Presence::BuiltIn } else { Presence::Missing }
}

/// The module's name in a path of `modules.dep` or `modules.builtin`, with underscores; none for
/// what is no module.
pub fn name_of(path: &str) -> Option<String> {
    stem(path).map(normal)
}

fn stem(path: &str) -> Option<&str> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let file = [".zst", ".xz", ".gz"].iter().find_map(|suffix| file.strip_suffix(suffix)).unwrap_or(file);
    file.strip_suffix(".ko")
}

fn is_module(path: &str, module: &str) -> bool {
    let folded = |byte| if byte == b'-' { b'_' } else { byte };
    stem(path).is_some_and(|stem| {
        stem.len() == module.len() && stem.bytes().map(folded).eq(module.bytes().map(folded))
    })
}

/// Whether a pattern of `modules.alias` covers a device's `modalias`. The kernel's own patterns
/// know only `*`, for any number of characters.
pub fn alias_matches(pattern: &str, modalias: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), modalias.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on when the last `*` has to take one character more.
    let mut retry = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            retry = Some((p + 1, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((after, taken)) = retry {
            retry = Some((after, taken + 1));
            (p, t) = (after, taken + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// The modules that `modules.alias` offers for a device, in its order, each once.
pub fn modules_for<'a>(aliases: &'a str, modalias: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for line in aliases.lines() {
        let Some(rest) = line.strip_prefix("alias ") else { continue };
        if !may_match(rest.as_bytes(), modalias.as_bytes()) {
            continue;
        }
        if let Some((pattern, module)) = rest.split_once(' ')
            && alias_matches(pattern, modalias)
            && !found.contains(&module)
        {
            found.push(module);
        }
    }
    found
}

/// Whether what stands before the first `*` fits: all but a handful of the 30 000 lines do not,
/// and most of them by bus and vendor.
fn may_match(pattern: &[u8], modalias: &[u8]) -> bool {
    let same = pattern.iter().zip(modalias).take_while(|(a, b)| a == b).count();
    matches!(pattern.get(same), Some(b'*' | b' '))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    const NVIDIA: &str = "pci:v000010DEd00002204sv00001458sd0000403Bbc03sc00i00";

    #[test]
    fn modules_are_found_in_every_dress() {
        let dep = "kernel/drivers/vfio/pci/vfio-pci.ko.zst: kernel/drivers/vfio/vfio.ko.zst\n\
                   kernel/drivers/vfio/vfio.ko.xz:\nkernel/a.ko: kernel/never.ko\nextra/b_c.ko.gz:\n";
        let builtin = "kernel/drivers/usb/host/xhci-pci.ko\nkernel/drivers/vfio/vfio.ko\n";
        for (module, wanted) in [
            ("vfio_pci", Presence::Loadable("kernel/drivers/vfio/pci/vfio-pci.ko.zst")),
            ("vfio-pci", Presence::Loadable("kernel/drivers/vfio/pci/vfio-pci.ko.zst")),
            ("vfio", Presence::Loadable("kernel/drivers/vfio/vfio.ko.xz")),
            ("a", Presence::Loadable("kernel/a.ko")),
            ("b-c", Presence::Loadable("extra/b_c.ko.gz")),
            ("xhci_pci", Presence::BuiltIn),
            ("never", Presence::Missing),
            ("vfio_virqfd", Presence::Missing),
        ] {
            assert_eq!(presence(dep, builtin, module), wanted, "{module}");
        }
        assert_eq!(name_of("kernel/x/snd-hda-intel.ko.zst").as_deref(), Some("snd_hda_intel"));
        assert_eq!(name_of("kernel/x/readme"), None);
    }

    #[test]
    fn a_device_asks_for_its_modules() {
        let aliases = "# Aliases\nalias pci:v000010DEd*sv*sd*bc03sc00i00* nouveau\n\
                       alias pci:v000010DEd*sv*sd*bc03sc02i00* nouveau\nalias pci:v000010DEd00002204sv*sd*bc*sc*i* nvidia\n\
                       alias pci:v00001002d*sv*sd*bc03sc00i00* amdgpu\nalias pci:v*d*sv*sd*bc03sc*i* generic\n\
                       alias pci:v000010DEd*sv*sd*bc03sc00i00* nvidia\nalias usb:v*p* usbx\n";
        assert_eq!(modules_for(aliases, NVIDIA), ["nouveau", "nvidia", "generic"]);
        assert!(modules_for(aliases, "pci:v00008086d00001234sv0sd0bc02sc00i00").is_empty());
    }

    #[test]
    fn stars_match_anything() {
        for (pattern, matches) in [
            ("pci:v000010DEd*sv*sd*bc03sc00i00*", true),
            ("*", true),
            ("pci:*i00", true),
            ("pci:*i01", false),
            ("pci:v000010DE", false),
            ("", false),
            ("*bc03*sc00*", true),
            ("*sc00*bc03*", false),
        ] {
            assert_eq!(alias_matches(pattern, NVIDIA), matches, "{pattern}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// The shell's `case` matches as fnmatch does.
        #[test]
        fn sh_agrees(pattern in "[ab*]{1,6}", text in "[ab]{0,6}") {
            let script = format!("case '{text}' in {pattern}) echo y;; esac");
            let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
            prop_assert_eq!(alias_matches(&pattern, &text), !output.stdout.is_empty());
            let line = format!("alias {pattern} m\n");
            prop_assert_eq!(!modules_for(&line, &text).is_empty(), alias_matches(&pattern, &text));
        }
    }
}
