//! What a root's files do, told by the programs that read them at boot: kmod, bash as mkinitcpio and
//! dracut use it, and sh.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::Command;

/// What a reader printed; an error names the program and the package that has it.
pub fn output(command: &mut Command, package: &str) -> io::Result<(bool, String, String)> {
    let done = command.output().map_err(|error| {
        let program = command.get_program().to_string_lossy();
        io::Error::other(format!("cannot start {program} (package {package}): {error}"))
    })?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((done.status.success(), text(done.stdout), text(done.stderr)))
}

/// Runs a shell script with a folder as its argument, in a mount namespace of its
/// own: what it mounts over the system's folders is seen by nobody else.
pub fn in_own_mounts(script: &str, folder: &Path) -> io::Result<(bool, String, String)> {
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    output(command.args(["sh", "-euc", script, "sh"]).arg(folder), "util-linux")
}

/// The kernels of a root, by their releases.
pub fn kernels(root: &Path) -> io::Result<Vec<String>> {
    crate::names_with(&root.join("usr/lib/modules"), "modules.dep")
}

/// What modprobe would do in a root, with the root's own configuration only: its lines.
pub fn modprobe(root: &Path, kernel: &str, arguments: &[&str]) -> io::Result<Vec<String>> {
    let mut command = Command::new("modprobe");
    command.args(["-S", kernel, "-d"]).arg(root);
    for folder in ["etc/modprobe.d", "usr/lib/modprobe.d"] {
        command.arg("-C").arg(root.join(folder));
    }
    let (_, said, _) = output(command.args(arguments), "kmod")?;
    Ok(said.lines().map(str::to_owned).collect())
}

/// The place of a module among the lines that modprobe printed.
pub fn position(lines: &[String], module: &str) -> Option<usize> {
    let is_it = |line: &String| {
        let name = line.split_whitespace().nth(1).unwrap_or_default().rsplit('/').next().unwrap_or_default();
        name.split(".ko").next().unwrap_or_default().replace('-', "_") == module
    };
    lines.iter().position(is_it)
}

/// `ids=` of vfio-pci, as the kernel would get them; `None` where nothing sets them.
pub fn ids(lines: &[String]) -> Option<Vec<String>> {
    let at = position(lines, "vfio_pci")?;
    let ids = lines[at].split_whitespace().find_map(|word| word.strip_prefix("ids="))?;
    Some(ids.split(',').map(str::to_owned).collect())
}

/// As mkinitcpio 41 does it: the main file and the drop-ins, sorted by version, in one text that bash
/// reads; for each preset with a configuration of its own, that alone. Strings become arrays as in its
/// `arrayize_config`. Prints a line for each configuration: its name, MODULES, FILES, HOOKS, and what it makes.
const CONFIGURATIONS: &str = r#"
cd "$1"
show() {
    MODULES=() FILES=() HOOKS=() BINARIES=()
    . "$2" || exit 1
    for variable in MODULES FILES HOOKS; do
        declare -n list=$variable
        [[ ${!list@a} == *a* ]] || IFS=' ' read -r -a list <<<"${list[0]}"
        [[ $(declare -p "$variable") == "declare -a"* ]] || { echo "$variable is no array" >&2; exit 1; }
    done
    printf '%s|%s|%s|%s|%s\n' "$1" "${MODULES[*]}" "${FILES[*]}" "${HOOKS[*]}" "$3"
}
joined=$(mktemp)
trap 'rm -f "$joined"' EXIT
shopt -s nullglob
drop_ins=(etc/mkinitcpio.conf.d/*.conf)
shopt -u nullglob
{
    cat etc/mkinitcpio.conf
    if ((${#drop_ins[@]})); then
        mapfile -t sorted < <(printf '%s\n' "${drop_ins[@]##*/}" | LC_ALL=C sort -V)
        cat "${sorted[@]/#/etc/mkinitcpio.conf.d/}"
    fi
} >"$joined"
for preset in etc/mkinitcpio.d/*.preset; do
    unset PRESETS ALL_config "${!default_@}" "${!fallback_@}"
    . "$preset" || exit 1
    for name in "${PRESETS[@]}"; do
        own=${name}_config
        own=${!own:-$ALL_config}
        if [ -n "$own" ]; then own=.$own; else own=$joined; fi
        image=${name}_uki
        [ -n "${!image:-}" ] || image=${name}_image
        (show "${preset##*/}:$name" "$own" "${!image:-}") || exit 1
    done
done
"#;

/// What goes into the image of one preset.
#[derive(Debug, PartialEq, Eq)]
pub struct Configuration {
    /// The preset's file and the image's name in it.
    pub preset: String,
    /// `MODULES`.
    pub modules: Vec<String>,
    /// `FILES`.
    pub files: Vec<String>,
    /// `HOOKS`.
    pub hooks: Vec<String>,
    /// Where the image lies that it makes, a unified one where it makes both.
    pub image: String,
}

/// mkinitcpio's configuration of every preset, as bash leaves it.
pub fn mkinitcpio(root: &Path) -> io::Result<Vec<Configuration>> {
    let (good, said, error) =
        output(Command::new("bash").args(["-c", CONFIGURATIONS, "bash"]).arg(root), "bash")?;
    if !good || !error.is_empty() {
        return Err(io::Error::other(error));
    }
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    let line = |line: &str| {
        let mut fields = line.split('|');
        let mut field = || fields.next().unwrap_or_default();
        Configuration {
            preset: field().to_owned(),
            modules: words(field()),
            files: words(field()),
            hooks: words(field()),
            image: field().to_owned(),
        }
    };
    Ok(said.lines().map(line).collect())
}

/// The unified images that presets build whose files are named so, as bash reads them.
pub fn images_of_presets(root: &Path, named: &str) -> io::Result<Vec<String>> {
    const IMAGES: &str = r#"
cd "$1"
shopt -s nullglob
for preset in etc/mkinitcpio.d/$2.preset; do
    (. "./$preset"; for name in "${PRESETS[@]}"; do image=${name}_uki; echo "${!image-}"; done)
done
"#;
    let mut command = Command::new("bash");
    command.args(["-euc", IMAGES, "bash"]).arg(root).arg(named);
    let (good, said, error) = output(&mut command, "bash")?;
    let images = said.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if good && error.is_empty() { Ok(images) } else { Err(io::Error::other(error)) }
}

/// The words of a section of a unified kernel image, told by objcopy.
pub fn section(image: &Path, name: &str) -> io::Result<Vec<String>> {
    let scratch = crate::scratch()?;
    let out = scratch.path().join("section");
    let mut command = Command::new("objcopy");
    command.args(["-O", "binary", &format!("--only-section={name}")]).arg(image).arg(&out);
    let (good, _, error) = output(&mut command, "binutils")?;
    if !good {
        return Err(io::Error::other(error));
    }
    let text = String::from_utf8_lossy(&std::fs::read(out)?).into_owned();
    Ok(text.trim_end_matches('\0').split_whitespace().map(str::to_owned).collect())
}

/// `GRUB_CMDLINE_LINUX` and `GRUB_CMDLINE_LINUX_DEFAULT`, as sh leaves them.
pub fn grub_default(root: &Path) -> io::Result<(String, String)> {
    let script = r#"
. "$1/etc/default/grub"
if grep -qs default/grub.d "$1/usr/bin/grub-mkconfig"; then
    for x in "$1"/etc/default/grub.d/*.cfg; do
        if [ -e "$x" ]; then . "$x"; fi
    done
fi
printf '%s\n%s\n' "${GRUB_CMDLINE_LINUX:-}" "${GRUB_CMDLINE_LINUX_DEFAULT:-}"
"#;
    let mut command = Command::new("sh");
    command.args(["-euc", script, "sh"]).arg(root);
    let (good, said, error) = output(&mut command, "dash")?;
    let mut lines = said.lines().map(str::to_owned);
    match (good, lines.next(), lines.next(), lines.next()) {
        (true, Some(all), Some(default), None) => Ok((all, default)),
        _ => Err(io::Error::other(error)),
    }
}

/// As dracut does it: the main file, then the drop-ins of both folders in the order of `sort -Vu` by
/// name, of one name only that of /etc. The second argument is what `--kernel-cmdline` gave.
/// Prints a line for each variable.
const DRACUT: &str = r#"
cd "$1"
export LC_ALL=C
kernel_cmdline_l=(${2:+"$2"})
shopt -s nullglob
if [[ -f etc/dracut.conf ]]; then . etc/dracut.conf || exit 1; fi
names=(etc/dracut.conf.d/*.conf usr/lib/dracut/dracut.conf.d/*.conf)
while IFS= read -r name; do
    for folder in etc/dracut.conf.d usr/lib/dracut/dracut.conf.d; do
        if [[ -e $folder/$name ]]; then
            bash -n "$folder/$name" || exit 1
            . "$folder/$name"
            break
        fi
    done
done < <(printf '%s\n' "${names[@]##*/}" | sort -Vu)
if ((${#kernel_cmdline_l[@]})); then kernel_cmdline+=" ${kernel_cmdline_l[*]} "; fi
for variable in force_drivers install_items add_dracutmodules omit_drivers omit_dracutmodules uefi kernel_cmdline; do
    printf '%s|%s\n' "$variable" "${!variable-}"
done
"#;

/// dracut's configuration as bash leaves it: the words of each variable.
pub fn dracut(root: &Path, kernel_cmdline: &str) -> io::Result<BTreeMap<String, Vec<String>>> {
    let mut command = Command::new("bash");
    command.args(["-c", DRACUT, "bash"]).arg(root).arg(kernel_cmdline);
    let (good, said, error) = output(&mut command, "bash")?;
    if !good || !error.is_empty() {
        return Err(io::Error::other(error));
    }
    let line = |line: &str| {
        let (variable, value) = line.split_once('|')?;
        Some((variable.to_owned(), value.split_whitespace().map(str::to_owned).collect()))
    };
    Ok(said.lines().filter_map(line).collect())
}
