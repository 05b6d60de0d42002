//! The table of GPUs.

use std::fmt::Write as _;

use console::{Style, measure_text_width, pad_str, style};
use neuron_passthrough::policy::{GpuKind, GpuRole, Viability};

use super::{findings, plain, wrap, wrapped};
use crate::report::{GpuReport, InspectReport};

/// The whole report: GPUs with role and reason, then the verdict and what to do.
pub(crate) fn inspect(report: &InspectReport) -> String {
    let mut out = String::new();
    let rows: Vec<[String; 5]> = report.gpus.iter().map(row).collect();
    let header = ["GPU", "Address", "Role", "Group", "Driver"];
    let width = |column: usize| {
        let cells = rows.iter().map(|row| measure_text_width(&row[column]));
        cells.chain([header[column].len()]).max().unwrap_or(0)
    };
    let mut widths: [usize; 5] = std::array::from_fn(width);
    widths[0] = name_width(&widths);
    let line = |cells: [&str; 5]| {
        let cells = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| pad_str(cell, width, console::Alignment::Left, Some("...")));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    if !rows.is_empty() {
        let _ = writeln!(out, "{}", style(line(header)).bold());
    }
    for (row, gpu) in rows.iter().zip(&report.gpus) {
        let _ = writeln!(out, "{}", line(std::array::from_fn(|column| row[column].as_str())));
        let because = wrapped(&plain(&gpu.because.join("; ")), "    ", "    ");
        let _ = writeln!(out, "{}", style(because).dim());
    }
    if rows.is_empty() {
        out.push_str("This machine has no GPU on PCI.\n");
    }
    out.push('\n');
    out.push_str(&findings::decision(&report.decision));
    out
}

/// How wide the names may be, so that a line fits the terminal; the other columns never shrink.
fn name_width(widths: &[usize; 5]) -> usize {
    let others: usize = widths[1..].iter().map(|width| width + 2).sum();
    let room = wrap::width().map_or(usize::MAX, |width| width.saturating_sub(others));
    widths[0].min(room.max(12))
}

fn row(gpu: &GpuReport) -> [String; 5] {
    let (role, look) = match gpu.role {
        GpuRole::Guest => ("guest", Style::new().green()),
        GpuRole::Host => ("host", Style::new().cyan()),
        GpuRole::Spare => ("spare", Style::new()),
    };
    let kind = match gpu.kind {
        GpuKind::Integrated => "integrated GPU",
        GpuKind::Discrete => "discrete GPU",
        GpuKind::Bmc => "management graphics",
        GpuKind::Virtual => "virtual GPU",
        GpuKind::Unknown => "GPU",
    };
    let ids = gpu.ids.map_or_else(|| "unknown".to_owned(), |ids| ids.to_string());
    let name = gpu.name.as_deref().map_or_else(|| format!("{kind} {ids}"), |name| plain(&short(name)));
    let group = match (gpu.iommu_group, gpu.viability) {
        (Some(group), _) if !gpu.group_peers.is_empty() => format!("{group} (shared)"),
        (Some(group), Viability::Viable) => format!("{group} (isolated)"),
        // Something else stands in the way; the group alone says nothing of it.
        (Some(group), _) => group.to_string(),
        (None, _) => "none".to_owned(),
    };
    let driver = gpu.driver.clone().unwrap_or_else(|| "none".to_owned());
    [name, gpu.address.to_string(), look.apply_to(role).to_string(), group, driver]
}

/// A name that fits a terminal: the bracketed marketing name where there is one.
pub(crate) fn short(name: &str) -> String {
    let vendor = name.split_whitespace().next().unwrap_or_default();
    let vendor = if vendor == "Advanced" { "AMD" } else { vendor };
    match name.rsplit_once('[').and_then(|(_, rest)| rest.split_once(']')) {
        Some((model, _)) if !model.starts_with("AMD") => format!("{vendor} {model}"),
        _ => name.to_owned(),
    }
}
