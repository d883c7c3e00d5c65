package node

// Follows is what a node asks of its log before it begins.
var Follows = follows
