/**
 * Of what both daemons answer on their admin sockets, and of the JSON of commands. It is counted up when something is taken away or
 * changes its meaning, and stays when something is added.
 */
export const adminApiVersion = '1'
