//! `bucketwheel completion` and `bucketwheel man`: what a shell and a reader of manuals want.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;
use serde_json::json;

use crate::screen::{Screen, print};

#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// The shell; put what is printed where it looks for completions
    shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write a page for each command into this folder, instead of printing the first one
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

pub(crate) fn complete(mut command: Command, screen: Screen, wanted: &Completion) {
    let mut script = Vec::new();
    clap_complete::generate(wanted.shell, &mut command, "bucketwheel", &mut script);
    let script = String::from_utf8_lossy(&script);
    match screen {
        Screen::Words => print(&script),
        Screen::Json => screen.tell(&json!({ "shell": wanted.shell.to_string(), "script": script }), ""),
    }
}

pub(crate) fn manual(command: Command, screen: Screen, wanted: &Man) -> io::Result<()> {
    match &wanted.folder {
        Some(folder) => {
            fs::create_dir_all(folder)?;
            clap_mangen::generate_to(command, folder)?;
            if let Screen::Json = screen {
                screen.tell(&json!({ "folder": folder }), "");
            }
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            let page = String::from_utf8_lossy(&page);
            match screen {
                Screen::Words => print(&page),
                Screen::Json => screen.tell(&json!({ "page": page }), ""),
            }
        }
    }
    Ok(())
}
