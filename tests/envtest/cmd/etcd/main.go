// Command etcd is the etcd server and nothing else: what kube-apiserver of the integration tests stores into.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}
