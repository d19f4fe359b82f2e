//! Carries out what the weather says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use bucketwheel_local::Local;
use tokio::time::sleep;

use crate::processes::{functions, signal};
use crate::system::System;
use crate::way::Way;
use crate::weather::{Episode, Fault, Forecast, fair};
use crate::{Failure, shells};

/// What the storm works on.
#[derive(Debug)]
pub(crate) struct Storm<'a> {
    pub(crate) system: &'a System,
    pub(crate) way: &'a Way,
    /// The file by which the clock of a process is set wrong.
    pub(crate) clock: &'a Path,
    stand_in: AtomicU32,
    /// How often each fault took place.
    tally: Mutex<BTreeMap<String, u32>>,
}

impl<'a> Storm<'a> {
    pub(crate) fn new(system: &'a System, way: &'a Way, clock: &'a Path, stand_in: u32) -> Self {
        Self { system, way, clock, stand_in: stand_in.into(), tally: Mutex::default() }
    }

    /// How often each fault took place.
    pub(crate) fn tally(&self) -> BTreeMap<String, u32> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets all rows take place, and then takes every fault away.
    pub(crate) async fn rage(
        &self,
        local: &mut Local,
        forecast: Forecast,
        over: &AtomicBool,
    ) -> Result<(), Failure> {
        let done = tokio::try_join!(
            self.row(None, forecast.kills, over),
            self.row(Some(local), forecast.aws, over),
            self.row(None, forecast.bitbucket, over),
            self.row(None, forecast.clocks, over),
        );
        self.way.set(&[]);
        let _ = std::fs::remove_file(self.clock);
        self.system.sandbox("PATCH", "behaviour", Some(fair())).await?;
        // The last kill, of those that may have a wrong clock.
        for process in functions(self.stand_in.load(Ordering::Relaxed)) {
            if process.function == shells::FUNCTION {
                signal(process.id, "KILL").await;
            }
        }
        done.map(drop)
    }

    async fn row(
        &self,
        mut local: Option<&mut Local>,
        episodes: Vec<Episode>,
        over: &AtomicBool,
    ) -> Result<(), Failure> {
        for Episode { after, fault, lasts } in episodes {
            sleep(after).await;
            if over.load(Ordering::Relaxed) {
                break;
            }
            let took_place = match &fault {
                Fault::Kill(function, place) => self.kill(function, *place).await,
                Fault::Freeze => {
                    let stand_in = self.stand_in.load(Ordering::Relaxed);
                    let frozen = signal(stand_in, "STOP").await;
                    sleep(lasts).await;
                    signal(stand_in, "CONT").await;
                    frozen
                }
                Fault::Restart => {
                    let Some(local) = &mut local else { return Err("only one row restarts AWS".into()) };
                    let orphans = functions(self.stand_in.load(Ordering::Relaxed));
                    local.restart_aws(lasts).await?;
                    for orphan in orphans {
                        signal(orphan.id, "KILL").await;
                    }
                    self.stand_in.store(local.aws_process().ok_or("AWS is gone")?, Ordering::Relaxed);
                    true
                }
                Fault::Aws(blocked) => {
                    let met = self.way.met();
                    self.way.set(&[*blocked]);
                    sleep(lasts).await;
                    self.way.set(&[]);
                    self.way.met() > met
                }
                Fault::Bitbucket(_, switches) => {
                    self.system.sandbox("PATCH", "behaviour", Some(switches.clone())).await?;
                    sleep(lasts).await;
                    self.system.sandbox("PATCH", "behaviour", Some(fair())).await?;
                    true
                }
                Fault::Clock(off) => {
                    let used = self.clock_used();
                    std::fs::write(self.clock, format!("{off:+}s"))?;
                    sleep(lasts).await;
                    std::fs::remove_file(self.clock)?;
                    self.clock_used() > used
                }
            };
            if took_place {
                let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
                *tally.entry(fault.words()).or_default() += 1;
            }
        }
        Ok(())
    }

    async fn kill(&self, function: &str, place: usize) -> bool {
        let mut of = functions(self.stand_in.load(Ordering::Relaxed));
        of.retain(|process| process.function == function);
        of.sort_by_key(|process| process.id);
        match of.iter().cycle().nth(place) {
            Some(process) => signal(process.id, "KILL").await,
            None => false,
        }
    }

    /// How many processes have started with a wrong clock.
    fn clock_used(&self) -> usize {
        std::fs::read_to_string(used(self.clock)).map_or(0, |lines| lines.lines().count())
    }
}

/// Where a process notes that it started with a wrong clock.
pub(crate) fn used(clock: &Path) -> PathBuf {
    clock.with_extension("used")
}
