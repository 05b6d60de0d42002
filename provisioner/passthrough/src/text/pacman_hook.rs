//! Hooks of the package manager: what runs when a kernel was installed.
//!
//! Source: `alpm-hooks(5)`: sections of `Key = value`, one `[Action]`, any number of `[Trigger]`s.

/// What a hook runs after a kernel was installed or replaced; none where it does not.
pub fn runs_for_kernels(text: &str) -> Option<&str> {
    let mut runs = None;
    let mut is_wanted = false;
    let mut trigger = Trigger::default();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            is_wanted |= trigger.is_wanted();
            trigger = Trigger::default();
        } else if let Some((key, value)) = line.split_once('=') {
            match (key.trim(), value.trim()) {
                ("Operation", "Install" | "Upgrade") => trigger.installs = true,
                ("Target", target) => trigger.kernels |= target.contains("lib/modules/"),
                ("Exec", command) => runs = Some(command),
                _ => {}
            }
        }
    }
    is_wanted |= trigger.is_wanted();
    runs.filter(|_| is_wanted)
}

#[derive(Default)]
struct Trigger {
    installs: bool,
    kernels: bool,
}

impl Trigger {
    fn is_wanted(&self) -> bool {
        self.installs && self.kernels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hooks_that_follow_a_new_kernel_count() {
        let hook = |operation: &str, target: &str| {
            format!(
                "[Trigger]\nType = Path\nOperation = {operation}\nTarget = {target}\n\n\
                 [Trigger]\nType = Package\nOperation = Install\nTarget = systemd\n\n\
                 [Action]\nWhen = PostTransaction\nExec = /usr/share/libalpm/scripts/build\nNeedsTargets\n"
            )
        };
        let kernels = "usr/lib/modules/*/vmlinuz";
        for operation in ["Install", "Upgrade"] {
            let text = hook(operation, kernels);
            assert_eq!(runs_for_kernels(&text), Some("/usr/share/libalpm/scripts/build"));
        }
        assert_eq!(runs_for_kernels(&hook("Remove", kernels)), None);
        assert_eq!(runs_for_kernels(&hook("Install", "usr/lib/firmware/*")), None);
        assert_eq!(runs_for_kernels(""), None);
        // What is commented out is none of a hook.
        assert_eq!(runs_for_kernels(&hook("Install", kernels).replace("Exec", "#Exec")), None);
    }
}
