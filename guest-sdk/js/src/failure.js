// Why an input was not processed: what a plugin throws. Anything else that it throws is a fault of the plugin, ends the
// instance, and is a dead letter too.

/** Never: this input cannot be processed, for this reason. It becomes a dead letter. */
export class Reject extends Error {
  constructor(reason) {
    super(reason);
    this.name = "Reject";
    // What the generated bindings take for the failure, if it is the error's own.
    this.payload = { tag: "reject", val: this.message };
  }
}

/** Not now: run the same input again, after this many milliseconds if given. Later inputs of its lane wait. */
export class Retry extends Error {
  constructor(milliseconds) {
    super(milliseconds === undefined ? "retry" : `retry after ${milliseconds} ms`);
    this.name = "Retry";
    this.payload = { tag: "retry", val: milliseconds };
  }
}
