//! A chain of refresh tokens: each use makes a successor, and the used one lives on for a while.

use jiff::Timestamp;
use serde::Serialize;

use super::{Grant, Issued, Ledger, Moment, Refusal};
use crate::{
    behaviour::{Behaviour, Replay},
    clock::after,
    random,
};

#[derive(Debug, Clone)]
pub(super) struct Refresh {
    grant: String,
    generation: u32,
    /// The refresh token from which this one came.
    parent: Option<String>,
    /// Since when it is unused.
    idle_since: Timestamp,
    first_used: Option<Timestamp>,
    /// The pair that its first use answered.
    successor: Option<Issued>,
    killed: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Access {
    grant: String,
    /// The refresh token that was issued with it.
    companion: Option<String>,
    expires: Timestamp,
    /// When its grant was refreshed after it.
    superseded: Option<Timestamp>,
    killed: bool,
}

/// What a refresh token is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// Unused: its next use makes a successor.
    Active,
    /// Used, and inside its grace window.
    Grace,
    /// Refused for ever.
    Dead,
    /// Never issued here.
    Unknown,
}

/// A refresh token as the admin sees it.
pub(crate) struct Seen<'a> {
    pub(crate) token: &'a str,
    pub(crate) generation: u32,
    pub(crate) standing: Standing,
    pub(crate) first_used: Option<Timestamp>,
}

impl Ledger {
    /// What a refresh token is worth now.
    pub(crate) fn standing(&self, token: &str, behaviour: &Behaviour, now: Timestamp) -> Standing {
        let Some(refresh) = self.refresh.get(token) else { return Standing::Unknown };
        let revoked = self.grants.get(&refresh.grant).is_none_or(|grant| grant.revoked);
        let idle = u64::from(behaviour.refresh_token_lifetime_days) * 86_400;
        let grace = behaviour.grace_window_seconds.into();
        match refresh.first_used {
            _ if revoked || refresh.killed => Standing::Dead,
            None if after(refresh.idle_since, idle) <= now => Standing::Dead,
            None => Standing::Active,
            Some(used) if now < after(used, grace) => Standing::Grace,
            Some(_) => Standing::Dead,
        }
    }

    /// The generation of a refresh token that was issued here.
    pub(crate) fn generation(&self, token: &str) -> Option<u32> {
        self.refresh.get(token).map(|refresh| refresh.generation)
    }

    /// The refresh tokens of a grant, oldest first.
    pub(crate) fn refresh_tokens<'a>(
        &'a self,
        grant: &str,
        behaviour: &Behaviour,
        now: Timestamp,
    ) -> Vec<Seen<'a>> {
        let of_grant = self.refresh.iter().filter(|(_, refresh)| refresh.grant == grant);
        let mut seen: Vec<_> = of_grant
            .map(|(token, refresh)| Seen {
                token,
                generation: refresh.generation,
                standing: self.standing(token, behaviour, now),
                first_used: refresh.first_used,
            })
            .collect();
        seen.sort_by_key(|seen| seen.generation);
        seen
    }

    /// The access tokens of a grant that still work, with their ends.
    pub(crate) fn access_tokens(
        &self,
        grant: &str,
        behaviour: &Behaviour,
        now: Timestamp,
    ) -> Vec<(&str, Timestamp)> {
        let of_grant = self.access.iter().filter(|(_, access)| access.grant == grant);
        of_grant
            .filter(|(token, _)| self.grant_of(token, behaviour, now).is_some())
            .map(|(token, access)| (token.as_str(), access.expires))
            .collect()
    }

    /// The grant for which an access token works now.
    pub(crate) fn grant_of(
        &self,
        access_token: &str,
        behaviour: &Behaviour,
        now: Timestamp,
    ) -> Option<&Grant> {
        let access = self.access.get(access_token)?;
        let overdue = |since: Timestamp| {
            behaviour.old_access_token_dies && after(since, behaviour.grace_window_seconds.into()) <= now
        };
        let dead = access.killed || access.expires <= now || access.superseded.is_some_and(overdue);
        self.grants.get(&access.grant).filter(|grant| !dead && !grant.revoked)
    }

    /// Whether a client is locked out of refreshing.
    pub(crate) fn locked_out(&self, client: &str, now: Timestamp) -> bool {
        self.lockouts.get(client).is_some_and(|until| now < *until)
    }

    /// A use of a refresh token.
    pub(super) fn rotate(
        &mut self,
        client: &str,
        token: &str,
        moment: Moment<'_>,
    ) -> Result<Issued, Refusal> {
        let known = self.refresh.get(token).cloned();
        let of_client =
            |refresh: &Refresh| self.grants.get(&refresh.grant).is_some_and(|grant| grant.consumer == client);
        let refresh = known.filter(of_client).ok_or(Refusal::UnknownRefreshToken)?;
        match self.standing(token, moment.behaviour, moment.now) {
            Standing::Unknown => Err(Refusal::UnknownRefreshToken),
            Standing::Dead => {
                self.punish(client, &refresh, moment.behaviour, moment.now);
                Err(Refusal::InvalidClient)
            }
            _ if self.locked_out(client, moment.now) => Err(Refusal::InvalidClient),
            Standing::Active => Ok(self.first_use(token, &refresh, moment)),
            Standing::Grace => Ok(self.repeated_use(token, &refresh, moment)),
        }
    }

    /// A used token came again too late.
    fn punish(&mut self, client: &str, refresh: &Refresh, behaviour: &Behaviour, now: Timestamp) {
        if refresh.first_used.is_none() {
            return;
        }
        if behaviour.family_revocation {
            self.revoke(&refresh.grant);
        }
        if behaviour.lockout_seconds > 0 {
            let until = after(now, behaviour.lockout_seconds.into());
            self.lockouts.insert(client.to_owned(), until);
        }
    }

    fn first_use(&mut self, token: &str, refresh: &Refresh, moment: Moment<'_>) -> Issued {
        self.supersede(&refresh.grant, moment.now);
        let rotates = !moment.behaviour.same_token && !moment.behaviour.no_refresh_token;
        if rotates {
            let issued = self.issue_pair(&refresh.grant, Some(token), moment);
            if let Some(refresh) = self.refresh.get_mut(token) {
                refresh.first_used = Some(moment.now);
                refresh.successor = Some(issued.clone());
            }
            return issued;
        }
        if let Some(refresh) = self.refresh.get_mut(token) {
            refresh.idle_since = moment.now;
        }
        let mut issued = self.issue_access(&refresh.grant, Some(token), moment);
        issued.refresh_token = moment.behaviour.same_token.then(|| token.to_owned());
        issued
    }

    fn repeated_use(&mut self, token: &str, refresh: &Refresh, moment: Moment<'_>) -> Issued {
        match (moment.behaviour.replay, &refresh.successor) {
            (Replay::SameSuccessor, Some(first)) => self.same_again(first, moment),
            (Replay::Revoking, _) => {
                self.kill_descendants(token);
                self.issue_pair(&refresh.grant, Some(token), moment)
            }
            _ => self.issue_pair(&refresh.grant, Some(token), moment),
        }
    }

    /// The first answer once more; its access token is replaced only if it no longer works.
    fn same_again(&mut self, first: &Issued, moment: Moment<'_>) -> Issued {
        if self.grant_of(&first.access_token, moment.behaviour, moment.now).is_some() {
            let expires = self.access.get(&first.access_token).map_or(moment.now, |access| access.expires);
            return Issued { expires_in: expires.duration_since(moment.now).as_secs(), ..first.clone() };
        }
        let companion = first.refresh_token.as_deref();
        let issued = self.issue_access(&first.grant, companion, moment);
        Issued { refresh_token: first.refresh_token.clone(), ..issued }
    }

    fn kill_descendants(&mut self, token: &str) {
        let mut doomed = vec![token.to_owned()];
        let mut next = 0;
        while let Some(parent) = doomed.get(next).cloned() {
            let children = self.refresh.iter().filter(|(_, child)| child.parent.as_ref() == Some(&parent));
            doomed.extend(children.map(|(token, _)| token.clone()).collect::<Vec<_>>());
            next += 1;
        }
        for token in doomed.split_off(1) {
            if let Some(refresh) = self.refresh.get_mut(&token) {
                refresh.killed = true;
            }
            for access in self.access.values_mut() {
                access.killed |= access.companion.as_ref() == Some(&token);
            }
        }
    }

    fn supersede(&mut self, grant: &str, now: Timestamp) {
        for access in self.access.values_mut().filter(|access| access.grant == grant) {
            access.superseded.get_or_insert(now);
        }
    }

    /// A new refresh token and its access token.
    pub(super) fn issue_pair(&mut self, grant: &str, parent: Option<&str>, moment: Moment<'_>) -> Issued {
        let token = random::text(moment.seed, "refresh token", length(moment.behaviour));
        let generation = self.grants.get_mut(grant).map_or(0, |grant| {
            grant.generation += 1;
            grant.generation
        });
        let refresh = Refresh {
            grant: grant.to_owned(),
            generation,
            parent: parent.map(str::to_owned),
            idle_since: moment.now,
            first_used: None,
            successor: None,
            killed: false,
        };
        self.refresh.insert(token.clone(), refresh);
        let issued = self.issue_access(grant, Some(&token), moment);
        Issued { refresh_token: Some(token), ..issued }
    }

    /// A new access token without a refresh token.
    pub(super) fn issue_access(
        &mut self,
        grant: &str,
        companion: Option<&str>,
        moment: Moment<'_>,
    ) -> Issued {
        let token = random::text(moment.seed, "access token", length(moment.behaviour));
        let access = Access {
            grant: grant.to_owned(),
            companion: companion.map(str::to_owned),
            expires: after(moment.now, moment.behaviour.access_token_lifetime.into()),
            superseded: None,
            killed: false,
        };
        self.access.insert(token.clone(), access);
        Issued {
            access_token: token,
            refresh_token: None,
            expires_in: moment.behaviour.access_token_lifetime.into(),
            scopes: self.grants.get(grant).map(|grant| grant.scopes.clone()).unwrap_or_default(),
            grant: grant.to_owned(),
        }
    }
}

/// Bytes from which a token is written; four thirds of it are its characters.
fn length(behaviour: &Behaviour) -> usize {
    if behaviour.long_tokens { 1_900 } else { 48 }
}
