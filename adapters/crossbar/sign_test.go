package crossbar_test

import (
	"fmt"

	"github.com/pushbridge/bridge/adapters/crossbar"
)

func ExampleSign() {
	query, signature := crossbar.Sign("kkjH68GiuUZ", crossbar.Parameters{
		Key: "test", Timestamp: "2015-03-24T15:38:12.589Z", Seq: "1", Nonce: "10",
	}, []byte(`{"topic":"com.example.statechange","args":[{"test":"works"}]}`))
	fmt.Println(signature)
	fmt.Println(query)
	// Output:
	// 9fddehCFKfxvV8ntJFtbKSALsAOzF7oIoaI8FXoun2Q=
	// key=test&timestamp=2015-03-24T15%3A38%3A12.589Z&seq=1&nonce=10&signature=9fddehCFKfxvV8ntJFtbKSALsAOzF7oIoaI8FXoun2Q%3D
}
