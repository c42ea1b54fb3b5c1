//! Who may connect, as an operator signs it: the config of a server that trusts one, and credentials of users.

use anyhow::Result;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use nkeys::KeyPair;
use serde_json::{Value, json};

/// An operator with one account, which has JetStream, and a system account, which a server with JetStream must have.
pub struct Operator {
    operator: KeyPair,
    system: KeyPair,
    account: KeyPair,
}

impl Operator {
    /// An operator with keys of its own, that nobody else trusts.
    pub fn new() -> Self {
        Self { operator: KeyPair::new_operator(), system: KeyPair::new_account(), account: KeyPair::new_account() }
    }

    /// The config of a server that lets in whoever this operator's account does.
    pub fn config(&self) -> Result<String> {
        let (system, account) = (self.system.public_key(), self.account.public_key());
        let operator = signed(&self.operator, &self.operator, json!({ "type": "operator", "system_account": system }))?;
        let any = json!({ "subs": -1, "conn": -1, "data": -1, "payload": -1, "wildcards": true });
        let system_jwt = signed(&self.operator, &self.system, json!({ "type": "account", "limits": any }))?;
        let mut limits = any;
        for limit in ["mem_storage", "disk_storage", "streams", "consumer"] {
            limits[limit] = (-1).into();
        }
        let account_jwt = signed(&self.operator, &self.account, json!({ "type": "account", "limits": limits }))?;
        Ok(format!(
            "operator: {operator}\nresolver: MEMORY\n\
             resolver_preload: {{ {system}: {system_jwt}, {account}: {account_jwt} }}\n"
        ))
    }

    /// What is in a credentials file of a user of the account.
    pub fn credentials(&self) -> Result<String> {
        let user = KeyPair::new_user();
        let jwt = signed(&self.account, &user, json!({ "type": "user", "subs": -1, "data": -1, "payload": -1 }))?;
        Ok(format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            user.seed()?
        ))
    }
}

/// A JWT in which `issuer` says `claims` of `subject`.
fn signed(issuer: &KeyPair, subject: &KeyPair, mut claims: Value) -> Result<String> {
    claims["version"] = 2.into();
    let (issued_by, of) = (issuer.public_key(), subject.public_key());
    let claims = json!({ "jti": of, "iat": 0, "iss": issued_by, "sub": of, "name": "test", "nats": claims });
    let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let said = format!("{}.{}", part(json!({ "typ": "JWT", "alg": "ed25519-nkey" })), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(said.as_bytes())?);
    Ok(format!("{said}.{signature}"))
}
