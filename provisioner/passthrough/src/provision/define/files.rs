//! The files of a machine that is to be defined: its media, and its disk, which is nobody else's.

use std::path::Path;

use super::{Act, read};
use crate::answers::{Answers, Vm};
use crate::guest::domain::{Problem, disk_format};
use crate::libvirt::{Image, Libvirt, has_program, is_file, is_same_file};
use crate::provision::ProvisionError;

/// What a machine needs of files: its media are there, its disk is there or can be made.
pub(super) fn check(
    name: &str,
    vm: &Vm,
    is_running: bool,
    remembered: &[String],
    acts: &mut Vec<Act>,
) -> Result<Vec<Problem>, ProvisionError> {
    let mut found = Vec::new();
    let mut problem = |key: &str, why: String, hint: &str| {
        found.push(Problem { key: format!("vm.{name}.{key}"), why, hint: hint.to_owned() });
    };
    let media =
        [("install_iso", &vm.install_iso), ("virtio_iso", &vm.virtio_iso), ("rom_file", &vm.rom_file)];
    for (key, path) in media.into_iter().filter(|(_, path)| !path.is_empty() && !is_file(path)) {
        problem(key, format!("there is no file {path}"), "put it there, or take the key out");
    }
    let Some(disk) = &vm.disk else { return Ok(found) };
    let (path, wanted) = (&disk.path, disk_format(&disk.path));
    let mut wrong = |why: String, hint: &str| problem("disk", why, hint);
    match Image::look(Path::new(path)).map_err(ProvisionError::Image)? {
        Image::Absent { .. } | Image::NoFolder if remembered.contains(path) => wrong(
            format!("{path} was there when it was defined, and is not there now"),
            "mount its file system, or bring the file back; to begin with an empty disk, take the machine back \
             first: `neuron-provisioner vm undefine`",
        ),
        Image::Absent { free } if free >> 30 < u64::from(disk.size_gib) => wrong(
            format!("{path}: {} GiB are wanted, and {} GiB are free there", disk.size_gib, free >> 30),
            "set size_gib to less, or name a path on a larger file system",
        ),
        Image::Absent { .. } if !has_program("qemu-img") => {
            wrong(format!("{path} is not there, and nothing here can make it"), "install qemu-img");
        }
        Image::Absent { .. } => {
            acts.push(Act::MakeDisk { path: path.clone(), format: wanted, gib: disk.size_gib });
        }
        Image::NoFolder => {
            wrong(format!("{path}: its folder is not there"), "make the folder, or name another path");
        }
        Image::NoFile => wrong(format!("{path} is no file"), "name the path of an image file"),
        Image::There { format } if format != wanted => wrong(
            format!("{path} is a {format} image, and by its name it would be a {wanted} one"),
            "rename it: images that end in .raw or .img are raw, all others qcow2",
        ),
        Image::InUse if !is_running => wrong(
            format!("{path} is in use by another program"),
            "shut the machine down that uses it, or name another path",
        ),
        Image::There { .. } | Image::InUse => {}
    }
    Ok(found)
}

/// Another machine with the same disk: two that run would destroy it.
pub(super) fn of_another(
    name: &str,
    path: &str,
    answers: &Answers,
    libvirt: &Libvirt,
) -> Result<Vec<Problem>, ProvisionError> {
    let mut found = Vec::new();
    let mut problem = |other: String| {
        found.push(Problem {
            key: format!("vm.{name}.disk"),
            why: format!("{path} is the disk of {other} as well"),
            hint: "name another path; if the two never run at once, `vm define --replace`".to_owned(),
        });
    };
    for (other, vm) in answers.vm.iter().filter(|(other, _)| *other != name) {
        if vm.disk.as_ref().is_some_and(|disk| is_same_file(&disk.path, path)) {
            problem(format!("[vm.{other}]"));
        }
    }
    for other in libvirt.domains(false)?.iter().filter(|other| *other != name) {
        let Some(xml) = libvirt.domain(other)? else { continue };
        if read(other, &xml)?.disks.iter().any(|disk| is_same_file(disk, path)) {
            problem(format!("the domain `{other}`"));
        }
    }
    Ok(found)
}
