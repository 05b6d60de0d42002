//! Limine: entries of `limine.conf`; where its entry tool makes them, what the tool makes them from.

use super::host_entry::{self, HostEntry};
use super::kept::{self, Kept};
use super::lines::of_kernel_cmdline;
use super::this_system::{boots_this_system, is_doubtful};
use super::{Bootloader, CommandLine, LoaderError, Parameters, keeps_root, kernel_cmdline_step, limine_tool};
use crate::facts::Target;
use crate::facts::target::is_limine_configuration;
use crate::id::TargetPath;
use crate::policy::{Code, Finding, Severity};
use crate::step::{FileState, Step};
use crate::text::limine_conf::{self, Entry, Format};
use crate::text::{TextError, block};

/// Limine.
pub(super) struct Limine;

impl Bootloader for Limine {
    fn name(&self) -> &'static str {
        "Limine"
    }

    fn ways(&self) -> Vec<&'static str> {
        vec![self.name(), limine_tool::WAY]
    }

    fn way(&self, target: &Target) -> &'static str {
        if limine_tool::program(target).is_some() { limine_tool::WAY } else { self.name() }
    }

    fn detect(&self, target: &Target) -> Option<String> {
        let (path, ..) = files(target).next()?;
        let by = limine_tool::program(target).map(|program| format!(", and {program} makes its entries"));
        Some(format!("{path} is there{}", by.unwrap_or_default()))
    }

    fn steps(&self, target: &Target, parameters: &Parameters) -> Result<Vec<Step>, LoaderError> {
        if limine_tool::program(target).is_some() {
            let mut steps = match limine_tool::steps(target, parameters)? {
                Some(steps) => steps,
                // With nothing said there, the tool takes the file that kernel-install takes.
                None => kernel_cmdline_step(target, parameters)?
                    .map(|step| vec![step])
                    .ok_or_else(|| limine_tool::says_nothing(present_line(target), parameters))?,
            };
            if let Some(host) = &parameters.host {
                steps.extend(host_blocks(target, host)?);
            }
            return Ok(steps);
        }
        let mut steps = Vec::new();
        for (path, state, text) in files(target) {
            let format = Format::of(path.file_name());
            let chosen = |entry: &Entry| is_this_system(target, entry);
            if !limine_conf::entries(text, format).iter().any(chosen) {
                continue;
            }
            let images = kept(target, path, text, parameters.host.as_ref(), chosen);
            let step = step(path, state, text, parameters, &images, chosen)?;
            steps.extend(images.into_iter().flat_map(|kept| kept.steps));
            if !step.is_settled() {
                refuse_enrolled(target, path, parameters)?;
            }
            refuse_hashes(path, text, format, chosen)?;
            steps.push(step);
        }
        Ok(steps)
    }

    fn command_lines(&self, target: &Target) -> Vec<CommandLine> {
        if limine_tool::program(target).is_some() {
            let named = limine_tool::command_lines(target);
            return if named.is_empty() { of_kernel_cmdline(target).into_iter().collect() } else { named };
        }
        let of_file = |(path, _, text): (&TargetPath, &FileState, &str)| {
            let all = limine_conf::entries(text, Format::of(path.file_name())).into_iter();
            let chosen = all.filter(|entry| is_this_system(target, entry));
            let line = |entry: Entry| Some(CommandLine::of_file(path, entry.command_line()?));
            chosen.filter_map(line).collect::<Vec<_>>()
        };
        files(target).flat_map(of_file).collect()
    }

    fn rebuild(&self, _: &Target) -> Option<Step> {
        // The tool makes images and entries in one go: it is the generator's rebuild.
        None
    }

    fn findings(&self, target: &Target) -> Vec<Finding> {
        if limine_tool::program(target).is_some() {
            return limine_tool::findings(target);
        }
        files(target).flat_map(|(path, _, text)| doubts(target, path, text)).collect()
    }
}

/// Limine's configurations, with what stands in them.
fn files(target: &Target) -> impl Iterator<Item = (&TargetPath, &FileState, &str)> {
    target
        .files
        .iter()
        .filter(|(path, _)| is_limine_configuration(path))
        .filter_map(|(path, state)| Some((path, state, state.text()?)))
}

fn is_this_system(target: &Target, entry: &Entry) -> bool {
    let here = kernel_is_here(target, entry);
    entry.command_line().is_some_and(|line| boots_this_system(target, line, here))
}

/// Whether an entry's kernel lies at the top of a boot partition of this system.
fn kernel_is_here(target: &Target, entry: &Entry) -> bool {
    // `boot():/vmlinuz-linux`, or `boot:///vmlinuz-linux` before Limine 8; a hash may follow.
    let path = entry.kernel().unwrap_or_default().split('#').next().unwrap_or_default();
    let (resource, path) = path.split_once(':').unwrap_or_default();
    let path = path.trim_start_matches('/');
    let on_boot_partition = resource.starts_with("boot");
    let is_it = |kernel: &String| match kernel.rsplit_once('/') {
        Some((_, name)) if on_boot_partition => name == path,
        _ => kernel.trim_start_matches('/') == path,
    };
    !path.is_empty() && target.boot_kernels.iter().any(is_it)
}

/// The command line of the first entry that boots this system.
fn present_line(target: &Target) -> Option<String> {
    files(target).find_map(|(path, _, text)| {
        let entries = limine_conf::entries(text, Format::of(path.file_name()));
        entries.iter().find(|entry| is_this_system(target, entry))?.command_line().map(str::to_owned)
    })
}

fn step(
    path: &TargetPath,
    before: &FileState,
    text: &str,
    parameters: &Parameters,
    images: &[Kept],
    chosen: impl Fn(&Entry) -> bool,
) -> Result<Step, LoaderError> {
    let format = Format::of(path.file_name());
    let unusable = |problem: TextError| LoaderError::Unusable { path: path.clone(), problem };
    let kept = limine_conf::remove_parameters(text, format, &parameters.remove, &chosen);
    let after = limine_conf::set_parameters(&kept, format, &parameters.set, &chosen).map_err(unusable)?;
    let after = match &parameters.host {
        Some(host) => with_host_entries(path, (text, &after), host, images, &chosen)?,
        None => block::remove_block(&after),
    };
    for (old, new) in limine_conf::entries(text, format).iter().zip(limine_conf::entries(&after, format)) {
        let line = |entry: &Entry| entry.command_line().unwrap_or_default().to_owned();
        keeps_root(path, &line(old), &line(&new))?;
    }
    Ok(Step::write(
        &format!("limine{}", path.as_str().replace('/', "-")),
        "Set the kernel parameters for Limine",
        "Limine hands the command line of an entry to the kernel",
        path.clone(),
        before,
        after,
    ))
}

/// Where the tool makes the entries, ours stand behind them: it keeps what it did not make.
fn host_blocks(target: &Target, host: &HostEntry) -> Result<Vec<Step>, LoaderError> {
    let mut steps = Vec::new();
    for (path, state, text) in files(target) {
        let chosen = |entry: &Entry| is_this_system(target, entry);
        let images = kept(target, path, text, Some(host), chosen);
        let after = with_host_entries(path, (text, text), host, &images, chosen)?;
        steps.extend(images.into_iter().flat_map(|kept| kept.steps));
        let id = format!("host-limine{}", path.as_str().replace('/', "-"));
        if after != *text {
            let none = Parameters::default();
            refuse_enrolled(target, path, &none)?;
        }
        steps.push(host_entry::step(&id, path.clone(), state, after));
    }
    Ok(steps)
}

/// Where on this system's boot partition a path of Limine's leads: `boot():/vmlinuz-linux`.
fn on_boot_partition(configuration: &TargetPath, path: &str) -> Option<(&'static str, String)> {
    let mounts = ["/boot/efi", "/boot", "/efi"];
    let mount = mounts.into_iter().find(|mount| configuration.as_str().starts_with(&format!("{mount}/")))?;
    let (resource, path) = path.split('#').next()?.split_once(':')?;
    let path = path.trim_start_matches('/');
    resource.starts_with("boot").then(|| (mount, format!("{mount}/{path}")))
}

/// The copies that the twins of the chosen entries start.
fn kept(
    target: &Target,
    configuration: &TargetPath,
    text: &str,
    host: Option<&HostEntry>,
    chosen: impl Fn(&Entry) -> bool,
) -> Vec<Kept> {
    let Some(host) = host else { return Vec::new() };
    let entries = limine_conf::entries(text, Format::of(configuration.file_name()));
    let mut seen: Vec<String> = Vec::new();
    let mut all = Vec::new();
    for entry in entries.iter().filter(|entry| chosen(entry)) {
        let kernel = entry.kernel().unwrap_or_default().split('#').next().unwrap_or_default().to_owned();
        if seen.contains(&kernel) {
            continue;
        }
        seen.push(kernel);
        let named = entry.kernel().into_iter().chain(entry.values("module_path").map(|(_, path)| path));
        let files: Option<Vec<_>> = named.map(|path| on_boot_partition(configuration, path)).collect();
        if let Some(files) = files.filter(|files| !files.is_empty()) {
            let mount = files[0].0;
            let files: Vec<String> = files.into_iter().map(|(_, file)| file).collect();
            all.push(kept::keep(target, host, mount, &files));
        }
    }
    all
}

/// The edited text with a twin of every chosen entry as it stands at present, one for each kernel,
/// behind all others: Limine counts entries to find its default. `texts`: present, edited.
fn with_host_entries(
    path: &TargetPath,
    (present, edited): (&str, &str),
    host: &HostEntry,
    images: &[Kept],
    chosen: impl Fn(&Entry) -> bool,
) -> Result<String, LoaderError> {
    let format = Format::of(path.file_name());
    let mut kernels: Vec<String> = Vec::new();
    let mut body = String::new();
    for entry in limine_conf::entries(present, format).iter().filter(|entry| chosen(entry)) {
        let kernel = entry.kernel().unwrap_or_default().split('#').next().unwrap_or_default().to_owned();
        let present = entry.command_line().unwrap_or_default();
        if kernels.contains(&kernel) {
            continue;
        }
        let line = host.line(present, path);
        keeps_root(path, present, &line)?;
        let value = |value: &str| {
            let Some((mount, file)) = on_boot_partition(path, value) else { return value.to_owned() };
            let copy = images.iter().map(|kept| kept.path(&file)).find(|copy| *copy != file);
            match copy.and_then(|copy| copy.strip_prefix(mount)) {
                // The resource and its slashes stay as they are written.
                Some(copy) => {
                    let original = &file[mount.len() + 1..];
                    let before = value.strip_suffix(original).unwrap_or_default();
                    format!("{before}{}", copy.trim_start_matches('/'))
                }
                None => value.to_owned(),
            }
        };
        body += &limine_conf::copy(entry, format, &host_entry::title(entry.name()), &line, value);
        kernels.push(kernel);
    }
    if body.is_empty() {
        return Ok(edited.to_owned());
    }
    if host.is_default {
        return Err(LoaderError::ByHand {
            path: path.to_string(),
            why: "Limine finds its default by counting entries, so default_entry = \"host\" is not done here"
                .to_owned(),
            what: "leave default_entry out, and set `default_entry` of Limine by hand afterwards".to_owned(),
        });
    }
    Ok(block::append_block(edited, &body))
}

/// A program with a checksum boots no other configuration than the one that it was enrolled with.
fn refuse_enrolled(target: &Target, path: &TargetPath, parameters: &Parameters) -> Result<(), LoaderError> {
    let Some(program) = target.limine_checksums.first() else { return Ok(()) };
    Err(LoaderError::ByHand {
        path: path.to_string(),
        why: format!(
            "{program} bears its checksum (limine enroll-config), and would not boot with a changed one"
        ),
        what: format!(
            "add `{}` to the cmdline of the entry by hand and enroll the new checksum: limine enroll-config \
             {program} $(b2sum {path} | cut -d' ' -f1)",
            parameters.set.join(" ")
        ),
    })
}

/// The initramfs is built anew, so a hash of it in the configuration would be wrong, and the entry
/// would not boot.
fn refuse_hashes(
    path: &TargetPath,
    text: &str,
    format: Format,
    chosen: impl Fn(&Entry) -> bool,
) -> Result<(), LoaderError> {
    for entry in limine_conf::entries(text, format).iter().filter(|entry| chosen(entry)) {
        let hashed = entry.values("module_path").find(|(_, image)| limine_conf::path_hash(image).is_some());
        if let Some((line, image)) = hashed {
            let image = image.split('#').next().unwrap_or_default();
            return Err(LoaderError::ByHand {
                path: path.to_string(),
                why: format!("line {line} holds a hash of {image}, which is built anew and would not boot with it"),
                what: "take the `#` and the hash behind it out of that line, then try again; put the hash of the \
                       new image there afterwards"
                    .to_owned(),
            });
        }
    }
    Ok(())
}

fn doubts(target: &Target, path: &TargetPath, text: &str) -> Vec<Finding> {
    let entries = limine_conf::entries(text, Format::of(path.file_name()));
    let doubtful = |entry: &&Entry| {
        let here = kernel_is_here(target, entry);
        entry.command_line().is_some_and(|line| is_doubtful(target, line, here))
    };
    let finding = |entry: &Entry| {
        Finding::new(
            Code::OtherLoader,
            Severity::Warning,
            format!(
                "{path}, line {}: the root of `{}` is not named as in /etc/fstab, and it is left alone",
                entry.line, entry.title
            ),
            "if it boots this system, name its root as /etc/fstab does, or add the kernel parameters there by hand",
        )
        .in_file(path.as_str())
    };
    entries.iter().filter(doubtful).map(finding).collect()
}
