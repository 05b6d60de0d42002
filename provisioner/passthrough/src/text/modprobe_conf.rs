//! Files of `modprobe.d`: what is blacklisted, which options a module gets, what is installed in
//! its place, what is loaded before it.
//!
//! Source: kmod's `libkmod-config.c`: a backslash at a line's end joins the next one, even in a
//! comment; words are cut at spaces and tabs; in names `-` becomes `_`.

use super::lines;

/// What a line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `alias PATTERN MODULE`.
    Alias,
    /// `blacklist MODULE`: its own aliases no longer load it.
    Blacklist,
    /// `options MODULE key=value ...`.
    Options,
    /// `install MODULE COMMAND`: the command runs in place of loading.
    Install,
    /// `remove MODULE COMMAND`.
    Remove,
    /// `softdep MODULE pre: ... post: ...`.
    Softdep,
    /// `weakdep MODULE ...`.
    Weakdep,
}

/// One line that kmod understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// Where it begins, counted from 1.
    pub line: usize,
    /// What it does.
    pub verb: Verb,
    /// The module (for an alias, the pattern as written), with underscores.
    pub module: String,
    /// The rest of the line, blanks trimmed.
    pub rest: String,
}

impl Directive {
    /// The value of `key=` in an options line, the last where there are several.
    pub fn option(&self, key: &str) -> Option<&str> {
        let of = |word: &'_ str| word.split_once('=').is_some_and(|(name, _)| normal(name) == normal(key));
        let word = (self.verb == Verb::Options)
            .then(|| self.rest.split_ascii_whitespace().rfind(|word| of(word)))??;
        word.split_once('=').map(|(_, value)| value)
    }

    /// The modules that a softdep loads first, with underscores.
    pub fn loaded_before(&self) -> Vec<String> {
        self.softdep("pre:")
    }

    /// The modules that a softdep loads afterwards, with underscores.
    pub fn loaded_after(&self) -> Vec<String> {
        self.softdep("post:")
    }

    fn softdep(&self, part: &str) -> Vec<String> {
        let mut present = "";
        let mut found = Vec::new();
        for word in self.rest.split_ascii_whitespace().filter(|_| self.verb == Verb::Softdep) {
            if word.ends_with(':') {
                present = word;
            } else if present == part {
                found.push(normal(word));
            }
        }
        found
    }
}

/// A module's name as the kernel has it: underscores.
pub fn normal(module: &str) -> String {
    module.replace('-', "_")
}

/// Every line that does something, in order. Others are skipped, as kmod skips them.
pub fn directives(text: &str) -> Vec<Directive> {
    lines::joined(text).filter_map(|(line, whole)| directive(line, &whole)).collect()
}

fn directive(line: usize, whole: &str) -> Option<Directive> {
    let blanks = [' ', '\t'];
    let (verb, rest) = whole.trim_matches(blanks).split_once(blanks)?;
    let verb = match verb {
        "alias" => Verb::Alias,
        "blacklist" => Verb::Blacklist,
        "options" => Verb::Options,
        "install" => Verb::Install,
        "remove" => Verb::Remove,
        "softdep" => Verb::Softdep,
        "weakdep" => Verb::Weakdep,
        _ => return None,
    };
    let rest = rest.trim_start_matches(blanks);
    let (module, rest) = rest.split_once(blanks).unwrap_or((rest, ""));
    if rest.trim().is_empty() && verb != Verb::Blacklist {
        return None;
    }
    let module = if verb == Verb::Alias { module.to_owned() } else { normal(module) };
    Some(Directive { line, verb, module, rest: rest.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_verb() {
        let text = "# options vfio-pci ids=0:0 \\\noptions vfio-pci ids=swallowed\n\
                    options vfio-pci ids=10de:2204,10de:1aef \\\n  disable_vga=1\r\n\tblacklist\tnouveau\n\
                    install i2c-nvidia-gpu /bin/false\nsoftdep nvidia-drm pre: vfio-pci  a post: b-c\n\
                    nonsense x\nblacklist\noptions lonely\n";
        let all = directives(text);
        let brief: Vec<_> =
            all.iter().map(|d| (d.line, d.verb, d.module.as_str(), d.rest.as_str())).collect();
        assert_eq!(
            brief,
            [
                (3, Verb::Options, "vfio_pci", "ids=10de:2204,10de:1aef   disable_vga=1"),
                (5, Verb::Blacklist, "nouveau", ""),
                (6, Verb::Install, "i2c_nvidia_gpu", "/bin/false"),
                (7, Verb::Softdep, "nvidia_drm", "pre: vfio-pci  a post: b-c"),
            ]
        );
        assert_eq!(all[0].option("ids"), Some("10de:2204,10de:1aef"));
        assert_eq!(all[0].option("disable-vga"), Some("1"));
        assert_eq!((all[0].option("id"), all[1].option("ids")), (None, None));
        assert_eq!(
            (all[3].loaded_before(), all[3].loaded_after()),
            (vec!["vfio_pci".into(), "a".into()], vec!["b_c".into()])
        );
    }

    /// kmod's own reading of a file, as `modprobe -c` prints it.
    fn dumped(text: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x.conf"), text).unwrap();
        let program = ["/usr/sbin/modprobe", "/sbin/modprobe", "/usr/bin/modprobe"]
            .into_iter()
            .find(|path| Path::new(path).exists())
            .expect("modprobe (package kmod) is needed for this test");
        let output = Command::new(program).arg("-C").arg(folder.path()).arg("-c").output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let known = ["blacklist ", "options ", "install ", "softdep "];
        let ours = |line: &&str| known.iter().any(|verb| line.starts_with(verb));
        let mut lines: Vec<_> = stdout
            .lines()
            .filter(ours)
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        lines.sort();
        lines
    }

    /// What kmod adds to an empty folder: options from the running kernel's command line.
    fn dumped_beyond_the_running_kernel(text: &str) -> Vec<String> {
        let mut lines = dumped(text);
        for line in dumped("") {
            let at = lines.iter().position(|other| *other == line).unwrap();
            lines.remove(at);
        }
        lines
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn kmod_agrees(
            lines in proptest::collection::vec(
                "(blacklist|options|install|#|x)[ \t]{1,2}[a-c_-]{1,4}([ \t]{1,2}[a-c]=[0-9]{1,3}){0,2}( ?\\\\)?", 0..6,
            )
        ) {
            let text: String = lines.iter().map(|line| line.clone() + "\n").collect();
            let mut ours: Vec<_> = directives(&text)
                .into_iter()
                .map(|d| {
                    let rest = if d.verb == Verb::Blacklist { "" } else { d.rest.as_str() };
                    let verb = format!("{:?}", d.verb).to_lowercase();
                    [verb.as_str(), &d.module].into_iter().chain(rest.split_whitespace()).collect::<Vec<_>>().join(" ")
                })
                .collect();
            ours.sort();
            prop_assert_eq!(ours, dumped_beyond_the_running_kernel(&text), "{}", text);
        }
    }
}
