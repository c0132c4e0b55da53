// What the authorization server has issued, in maps that a test can reach into.
//
// oidc-provider asks for one adapter per kind: AccessToken, RefreshToken, Grant, Session and more.

const TOKENS = new Set(["AccessToken", "RefreshToken", "AuthorizationCode", "DeviceCode"]);

export class TokenStore {
  #kinds = new Map();

  #kind(name) {
    if (!this.#kinds.has(name)) this.#kinds.set(name, new Map());
    return this.#kinds.get(name);
  }

  adapter = (name) => {
    const rows = this.#kind(name);
    const by = async (field, value) => [...rows.values()].find((row) => row[field] === value);
    return {
      upsert: async (id, row) => void rows.set(id, row),
      find: async (id) => rows.get(id),
      findByUid: (uid) => by("uid", uid),
      findByUserCode: (code) => by("userCode", code),
      consume: async (id) => void (rows.get(id).consumed = Math.floor(Date.now() / 1000)),
      destroy: async (id) => void rows.delete(id),
      revokeByGrantId: async (grantId) => void this.#forget(name, (row) => row.grantId === grantId),
    };
  };

  // Access tokens end now, although whoever holds them was promised more. Says how many.
  expireAccessTokens() {
    return this.#forget("AccessToken", () => true) + this.#forget("ClientCredentials", () => true);
  }

  // As when a person takes back what they allowed: refresh tokens and access tokens end at once.
  revoke(account) {
    const isTheirs = (row) => !account || row.accountId === account;
    let count = 0;
    for (const name of TOKENS) count += this.#forget(name, isTheirs);
    this.#forget("Grant", isTheirs);
    return count;
  }

  #forget(name, isMeant) {
    const rows = this.#kind(name);
    const ids = [...rows].filter(([, row]) => isMeant(row)).map(([id]) => id);
    ids.forEach((id) => rows.delete(id));
    return ids.length;
  }
}
