//! What was measured, against its bar, as a table for people.

use std::io::Write;

/// What a figure counts.
#[derive(Debug, Clone, Copy)]
pub enum Unit {
    /// Seconds, shown in milliseconds.
    Seconds,
    /// Bytes, shown in megabytes of 1,000,000.
    Bytes,
}

/// The median of some runs, and how far they lay apart.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    /// The median.
    pub median: f64,
    /// The lowest and the highest run, where there was more than one.
    pub spread: Option<(f64, f64)>,
}

impl Figure {
    /// One run.
    pub fn of(value: f64) -> Self {
        Self { median: value, spread: None }
    }

    /// Several runs; `None` without any.
    pub fn of_runs(runs: &[f64]) -> Option<Self> {
        let mut sorted = runs.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (&low, &high) = (sorted.first()?, sorted.last()?);
        Some(Self { median: percentile(&sorted, 0.5), spread: (sorted.len() > 1).then_some((low, high)) })
    }
}

/// The value below which the share of a sorted slice lies, between two neighbours by proportion.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

/// What a figure is held to.
#[derive(Debug, Clone, Copy)]
pub enum Bar {
    /// The program's figure itself, in the row's unit.
    AtMost(f64),
    /// The program's figure divided by the bare loop's.
    Ratio(f64),
    /// Nothing: the row explains another one.
    None,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was measured.
    pub name: &'static str,
    /// What the figures count.
    pub unit: Unit,
    /// The bare loop's figure.
    pub bare: Option<Figure>,
    /// The program's figure.
    pub program: Figure,
    /// What it must not exceed.
    pub bar: Bar,
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        self.bare.filter(|bare| bare.median > 0.0).map(|bare| self.program.median / bare.median)
    }

    fn is_met(&self) -> Option<bool> {
        match self.bar {
            Bar::AtMost(limit) => Some(self.program.median <= limit),
            Bar::Ratio(limit) => self.ratio().map(|ratio| ratio <= limit),
            Bar::None => None,
        }
    }

    fn cells(&self) -> [String; 6] {
        let bar = match self.bar {
            Bar::AtMost(limit) => format!("{} at most", shown(self.unit, limit)),
            Bar::Ratio(limit) => format!("{limit} times at most"),
            Bar::None => String::new(),
        };
        let met = match self.is_met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        [
            self.name.to_owned(),
            self.bare.map_or_else(String::new, |bare| figure(self.unit, bare)),
            figure(self.unit, self.program),
            self.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            bar,
            met.to_owned(),
        ]
    }
}

fn shown(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Seconds if value >= 1.0 => format!("{value:.2} s"),
        Unit::Seconds => format!("{:.2} ms", value * 1e3),
        Unit::Bytes if value < 1e5 => format!("{:.2} kB", value / 1e3),
        Unit::Bytes => format!("{:.1} MB", value / 1e6),
    }
}

fn figure(unit: Unit, figure: Figure) -> String {
    let median = shown(unit, figure.median);
    match figure.spread {
        Some((low, high)) => format!("{median} ({} - {})", shown(unit, low), shown(unit, high)),
        None => median,
    }
}

/// Prints the table to standard output.
pub fn print(rows: &[Row]) {
    const HEAD: [&str; 6] = ["", "bare loop", "graph2mqtt", "ratio", "bar", ""];
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(rows.iter().map(Row::cells));
    let widths: [usize; 6] =
        std::array::from_fn(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0));
    for line in lines {
        let padded: Vec<String> = line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        say(padded.join("  ").trim_end());
    }
}

/// Prints a line to standard output; one that nobody reads any more is no fault.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
